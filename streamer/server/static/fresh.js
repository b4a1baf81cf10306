// How old boxes may be before they are drawn as old. Numbers in, numbers out.

// Beyond which things have moved away from their boxes.
const OLD_SECONDS = 2;
const FAINT = 0.4;

// seconds: by which the boxes are older than the picture under them.
export const isOld = (seconds) => seconds > OLD_SECONDS;

// How strongly such boxes are drawn, 0 to 1.
export const strength = (seconds) => (isOld(seconds) ? FAINT : 1);

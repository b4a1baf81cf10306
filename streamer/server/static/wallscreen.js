// A part of the page on the whole screen.

// Resolves to why not, in words; "" where it is there.
export async function fillScreen(element) {
  if (!element.requestFullscreen) return "This browser has no full screen for a part of a page.";
  try {
    await element.requestFullscreen();
    return "";
  } catch {
    return "The browser does not allow the full screen here. Its own key for it, often F11, may work.";
  }
}

export async function leaveScreen() {
  if (!document.fullscreenElement) return;
  try { await document.exitFullscreen(); } catch { /* it was left meanwhile */ }
}

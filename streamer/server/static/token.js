// The token of this tab: taken out of the address at once, so that it is neither bookmarked nor shared by accident.

const KEY = "streamer-token";

let current = null;

// Headers that show the token; none where none is needed.
export const authorised = () => (current ? { authorization: `Bearer ${current}` } : {});

// A file of the HTTP interface; null where it cannot be had. The token never stands in an address.
export async function fetchBlob(path) {
  try {
    const answer = await fetch(path, { headers: authorised() });
    return answer.ok ? await answer.blob() : null;
  } catch {
    return null;
  }
}

// A file that is made when it is asked for: {blob, headers}, or {error, field, status}: why not, in words, and of what.
export async function fetchFile(path, signal) {
  try {
    const answer = await fetch(path, { headers: authorised(), signal });
    if (answer.ok) return { blob: await answer.blob(), headers: answer.headers };
    const value = await answer.json();
    return { error: value.detail ?? value.title ?? `the server says ${answer.status}`, field: value.field, status: answer.status };
  } catch {
    return { error: "the server does not answer" };
  }
}

// {value} of the HTTP interface, or {error, status}: why not, in words, and the number, if the server answered.
export async function fetchJson(path) {
  try {
    const answer = await fetch(path, { headers: authorised() });
    const value = await answer.json();
    return answer.ok ? { value } : { error: value.detail ?? value.title ?? `the server says ${answer.status}`, status: answer.status };
  } catch {
    return { error: "the server does not answer" };
  }
}

// Sends to the HTTP interface: {value}, or {error}: why not, in words.
export async function sendJson(method, path, body) {
  const headers = { "content-type": "application/json", ...authorised() };
  try {
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const value = answer.status === 204 ? null : await answer.json();
    if (answer.ok) return { value };
    const where = value.field ? `${value.field}: ` : "";
    return { error: `${where}${value.detail ?? value.title ?? `the server says ${answer.status}`}` };
  } catch {
    return { error: "the server does not answer" };
  }
}

export function takeToken() {
  const url = new URL(location.href);
  const given = url.searchParams.get("token");
  if (given !== null) {
    url.searchParams.delete("token");
    history.replaceState(null, "", url);
    keepToken(given);
    return given;
  }
  try { current = sessionStorage.getItem(KEY); } catch { /* none is kept */ }
  return current;
}

// On a server that looks at none, which takes everybody for its owner: HTTP is asked as the same person then.
export function dropToken() {
  current = null;
}

export function keepToken(token) {
  current = token;
  try { sessionStorage.setItem(KEY, token); } catch { /* kept for this page alone */ }
}

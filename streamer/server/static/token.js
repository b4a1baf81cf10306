// The token of this tab: taken out of the address at once, so that it is neither bookmarked nor shared by accident.

const KEY = "streamer-token";

let current = null;

// Headers that show the token; none where none is needed.
export const authorised = () => (current ? { authorization: `Bearer ${current}` } : {});

// A file of the HTTP interface; null where it cannot be had. The token never stands in an address.
export async function fetchBlob(path) {
  try {
    const answer = await fetch(path, { headers: current ? { authorization: `Bearer ${current}` } : {} });
    return answer.ok ? await answer.blob() : null;
  } catch {
    return null;
  }
}

// {value} of the HTTP interface, or {error}: why not, in words.
export async function fetchJson(path) {
  try {
    const answer = await fetch(path, { headers: current ? { authorization: `Bearer ${current}` } : {} });
    const value = await answer.json();
    return answer.ok ? { value } : { error: value.detail ?? value.title ?? `the server says ${answer.status}` };
  } catch {
    return { error: "the server does not answer" };
  }
}

// Sends to the HTTP interface: {value}, or {error}: why not, in words.
export async function sendJson(method, path, body) {
  const headers = { "content-type": "application/json", ...(current ? { authorization: `Bearer ${current}` } : {}) };
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

export function keepToken(token) {
  current = token;
  try { sessionStorage.setItem(KEY, token); } catch { /* kept for this page alone */ }
}

// The token of this tab: taken out of the address at once, so that it is neither bookmarked nor shared by accident.

const KEY = "streamer-token";

export function takeToken() {
  const url = new URL(location.href);
  const given = url.searchParams.get("token");
  if (given !== null) {
    url.searchParams.delete("token");
    history.replaceState(null, "", url);
    keepToken(given);
    return given;
  }
  try { return sessionStorage.getItem(KEY); } catch { return null; }
}

export function keepToken(token) {
  try { sessionStorage.setItem(KEY, token); } catch { /* kept for this page alone */ }
}

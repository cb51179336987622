// Looks everywhere a script of the page's origin can look, and returns all it
// finds as one text.
(async () => {
  const found = [];
  const add = (where, what) => { found.push(`${where}: ${typeof what === 'string' ? what : JSON.stringify(what)}`); };
  const read = (promise) => new Promise((resolve, reject) => {
    promise.onsuccess = () => resolve(promise.result);
    promise.onerror = () => reject(promise.error);
  });
  add('localStorage', { ...localStorage });
  add('sessionStorage', { ...sessionStorage });
  add('cookies', document.cookie);
  add('cookieStore', await window.cookieStore?.getAll() ?? []);
  for (const { name } of await indexedDB.databases()) {
    const db = await read(indexedDB.open(name));
    for (const store of db.objectStoreNames) {
      const objects = db.transaction(store).objectStore(store);
      add(`IndexedDB ${name}/${store}`, [await read(objects.getAllKeys()), await read(objects.getAll())]);
    }
    db.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      add(`cache ${name}`, [request.url, [...request.headers], await (await cache.match(request)).text()]);
    }
  }
  add('location', location.href);
  add('referrer', document.referrer);
  add('history', [history.state, window.navigation?.entries().map((e) => [e.url, e.getState()])]);
  add('window.name', window.name);
  add('performance', performance.getEntries().map((e) => e.name));
  add('document', document.documentElement.outerHTML);
  for (const key of Object.getOwnPropertyNames(window)) {
    try { if (typeof window[key] === 'object' && window[key]?.constructor === Object) add(`window.${key}`, window[key]); } catch { /* not ours to read */ }
  }
  for (const frame of document.querySelectorAll('iframe')) {
    try { add('frame', frame.contentDocument?.documentElement.outerHTML ?? 'closed'); } catch { add('frame', 'closed'); }
  }
  add('what passed', window.__loot ?? []);
  return found.join('\n');
})()

// The service worker that an application serves from its own origin. Calls of
// the page that match the vault's route list go to the vault, which attaches
// the token; every other request passes untouched.

const vault = '__TOKENVAULT_ORIGIN__';

let known;
const list = () => (known ??= fetch(`${vault}/.tokenvault/routes`, { cache: 'no-store' })
  .then((r) => { if (!r.ok) throw new Error('no route list'); return r.json(); })
  .catch(() => { known = undefined; return { routes: [] }; }));

function target(request, { routes }) {
  const u = new URL(request.url);
  const plain = u.origin + u.pathname;
  for (const { method, from, to, exact } of routes) {
    if (method && method !== request.method && !(method === 'GET' && request.method === 'HEAD')) continue;
    for (const start of [from, to]) {
      if (exact ? plain === start : plain.startsWith(start)) return to + plain.slice(start.length) + u.search;
    }
  }
  return undefined;
}

async function forward(request, to, header) {
  const headers = new Headers(request.headers);
  headers.set(header, '1');
  headers.delete('authorization'); // whatever the page put there is no token
  const body = ['GET', 'HEAD'].includes(request.method) ? undefined : await request.blob();
  return fetch(to, {
    method: request.method, headers, body, signal: request.signal,
    mode: 'cors', credentials: 'include', cache: 'no-store', referrerPolicy: 'no-referrer',
  });
}

async function answer(request) {
  const routes = await list();
  const to = target(request, routes);
  return to === undefined ? fetch(request) : forward(request, to, routes.header);
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
// A page that was reloaded past the worker asks to be taken over again.
self.addEventListener('message', (event) => {
  if (event.data === 'claim') event.waitUntil(self.clients.claim());
});
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.mode === 'navigate' || !/^https?:/.test(request.url)) return;
  // Only what a script fetches: images, styles and scripts are never listed.
  if (request.destination !== '') return;
  event.respondWith(answer(request));
});

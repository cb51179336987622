// The service worker that an application serves from its own origin. Calls of
// the page that match the vault's route list go to the vault, which attaches
// the token; every other request passes untouched.
(() => {
  'use strict';

  const vault = '__TOKENVAULT_ORIGIN__';
  const fresh = 300_000; // ms; an older list is asked for again, behind the calls
  const patience = 10_000; // ms for the list

  let known; // the list, once it has been read
  let asked = -Infinity;
  let pending;

  const read = () => {
    asked = Date.now();
    pending = fetch(`${vault}/.tokenvault/routes`, { cache: 'no-store', signal: AbortSignal.timeout(patience) })
      .then((r) => (r.ok ? r.json() : Promise.reject(new Error(`the route list: ${r.status}`))))
      .then((list) => { known = list; })
      .catch((error) => { console.warn('tokenvault:', error.message); })
      .finally(() => { pending = undefined; });
    return pending;
  };

  // target returns the vault's address that stands for the request's, or nothing.
  const target = ({ url, method }, { routes }) => {
    const u = new URL(url);
    const plain = u.origin + u.pathname;
    const matches = (rule, rest) => (!rule.method || rule.method === method || (rule.method === 'GET' && method === 'HEAD'))
      && new RegExp(rule.path).test(rest);
    for (const route of routes) {
      for (const base of [route.from, route.to]) {
        const rest = plain.slice(base.length);
        if (plain.startsWith(base) && matches(route, rest) && !(route.except ?? []).some((rule) => matches(rule, rest))) {
          return route.to + rest + u.search;
        }
      }
    }
    return undefined;
  };

  const forward = async (request, to) => {
    const headers = new Headers(request.headers);
    headers.set(known.header, '1');
    headers.delete('authorization'); // whatever the page put there is no token
    const body = ['GET', 'HEAD'].includes(request.method) ? undefined : await request.blob();
    return fetch(to, {
      method: request.method, headers, body, signal: request.signal, redirect: request.redirect, keepalive: request.keepalive,
      mode: 'cors', credentials: 'include', cache: 'no-store', referrerPolicy: 'no-referrer',
    });
  };

  // decide answers a request that came before the list. Without a list a call to
  // another origin fails, as it does while the vault is down: sent on, it would
  // be refused for want of a token and the page would think it is logged out.
  const decide = async (request) => {
    await (pending ?? read());
    if (!known) return new URL(request.url).origin === self.location.origin ? fetch(request) : Response.error();
    const to = target(request, known);
    return to === undefined ? fetch(request) : forward(request, to);
  };

  self.addEventListener('install', () => self.skipWaiting());
  self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
  // A page that was reloaded past the worker asks to be taken over again.
  self.addEventListener('message', (event) => {
    if (event.data === 'claim') event.waitUntil(self.clients.claim());
  });
  self.addEventListener('fetch', (event) => {
    const { request } = event;
    // Only what a script fetches: pages, images, styles and scripts are never
    // listed. The vault's own addresses need no list.
    if (request.mode === 'navigate' || request.destination !== '' || !/^https?:/.test(request.url)) return;
    if (request.url.startsWith(`${vault}/.tokenvault/`)) return;
    if (!known) {
      event.respondWith(decide(request));
      return;
    }
    if (Date.now() - asked > fresh) event.waitUntil(read());
    const to = target(request, known);
    if (to !== undefined) event.respondWith(forward(request, to));
  });
})();

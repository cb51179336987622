// An ES module for applications: starts the service worker and asks the vault
// about the session. An application that only fetches needs no more than
//
//   import { start } from '/tokenvault/client.js';
//   await start();

const vault = '__TOKENVAULT_ORIGIN__';
const patience = 30_000; // ms

const late = (what) => new Promise((_, reject) => {
  setTimeout(() => reject(new Error(`tokenvault: ${what} takes too long`)), patience);
});

// start registers the worker and resolves once it controls the page, so that
// the first call goes through it.
export async function start({ url = '/tokenvault/worker.js' } = {}) {
  if (!navigator.serviceWorker) throw new Error('tokenvault: this browser or page has no service workers (https is needed)');
  const { serviceWorker } = navigator;
  await serviceWorker.register(url, { scope: '/' });
  const registration = await Promise.race([serviceWorker.ready, late('the service worker')]);
  if (serviceWorker.controller) return;
  // The first load, or one past the worker: it takes the page over on request.
  const controlled = new Promise((resolve) => {
    serviceWorker.addEventListener('controllerchange', resolve, { once: true });
  });
  registration.active.postMessage('claim');
  await Promise.race([controlled, late('the service worker')]);
}

const call = async (name, method) => {
  const response = await fetch(`${vault}/.tokenvault/${name}`, {
    method, credentials: 'include', cache: 'no-store', headers: { 'X-Tokenvault': '1' }, signal: AbortSignal.timeout(patience),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error_description), { code: answer.error, status: response.status });
  return answer;
};

// has resolves to whether the session has tokens.
export const has = async () => (await call('session', 'GET')).hasTokens;

// refresh renews the session's token now. The vault does so by itself when it
// is time: this is for an application that knows better.
export const refresh = async () => (await call('refresh', 'POST')).refreshTokens;

// remove revokes the tokens and leaves the session at the authorization server.
export const remove = async () => (await call('remove', 'POST')).removeToken;

// logoutURL is where to navigate to end the session here and there.
export const logoutURL = (postLogoutRedirectURI) => {
  const u = new URL('/oauth2/logout', vault);
  if (postLogoutRedirectURI) u.searchParams.set('post_logout_redirect_uri', postLogoutRedirectURI);
  return u.href;
};

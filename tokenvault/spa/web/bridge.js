// The bridge: runs in a frame that an application loads from the vault's
// origin, takes the application's messages and makes the calls that the route
// list allows. It holds nothing: the session is a cookie that it cannot read.
//
// The messages are those of the Ping SDK's Token Vault: TVP_FETCH_RESOURCE,
// TVP_HAS_TOKENS, TVP_REFRESH_TOKENS, TVP_REMOVE_TOKENS. Each comes with a port
// and gets one answer there: its sender waits for it without a limit.

const patience = 120_000; // ms; then the sender is told that it failed

const apps = document.querySelector('meta[name=tokenvault-apps]').content.split(' ');

const get = (path, init) => fetch(path, {
  ...init, credentials: 'same-origin', cache: 'no-store', referrerPolicy: 'no-referrer', signal: AbortSignal.timeout(patience),
});

// list resolves to the route list; a failure is not kept.
let known;
const list = () => (known ??= get('/.tokenvault/routes')
  .then((r) => (r.ok ? r.json() : Promise.reject(new Error('no route list'))))
  .catch((error) => { known = undefined; throw error; }));

const call = async (path, init) => {
  const { header } = await list();
  return get(path, { ...init, headers: { ...init.headers, [header]: '1' } });
};

const oauth = /^\/(am\/)?oauth2\//;

// own returns the address under this origin that stands for url, or nothing.
function own(url, method, routes) {
  const u = new URL(url);
  const plain = u.origin + u.pathname;
  if (u.origin === location.origin && oauth.test(u.pathname)) return plain + u.search;
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
}

const problem = (error, message, url) => ({
  body: { error, message }, headers: { 'content-type': 'application/json' },
  ok: false, redirected: false, status: 400, statusText: 'Token Vault', type: 'error', url,
});

// copy makes a response that can be posted. The receiver makes a Response of it,
// which a status of 0, or a body where none is allowed, would make fail and the
// application's fetch wait for ever.
async function copy(response, url) {
  const answer = { headers: {}, ok: true, redirected: false, status: 204, statusText: '', type: 'cors', url };
  // Only the OAuth addresses redirect here, to the authorization server's pages:
  // those are for a navigation, and what there was to do at the vault is done.
  if (response.type === 'opaqueredirect') return answer;
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) {
    await response.body?.cancel();
    return problem('unsupported', 'a stream does not go through messages', url);
  }
  for (const [name, value] of response.headers) {
    if (!['content-encoding', 'content-length', 'transfer-encoding'].includes(name)) answer.headers[name] = value;
  }
  Object.assign(answer, { ok: response.ok, redirected: response.redirected, status: response.status, statusText: response.statusText });
  const text = await response.text();
  if (text === '' || [204, 205, 304].includes(response.status)) return answer;
  try {
    return { ...answer, body: /[/+]json\b/.test(type) ? JSON.parse(text) : text };
  } catch {
    return { ...answer, body: text };
  }
}

async function fetchResource({ request }) {
  const { method = 'GET', headers = {}, body } = request.options ?? {};
  const { routes } = await list();
  const to = own(request.url, method, routes);
  if (to === undefined) return problem('not_found', 'the request matches no listed resource', request.url);
  const redirect = oauth.test(new URL(to).pathname) ? 'manual' : 'follow';
  return copy(await call(to, { method, headers, body: body ?? undefined, redirect }), request.url);
}

const control = (name, method) => async () => {
  const response = await call(`/.tokenvault/${name}`, { method });
  const answer = await response.json();
  return response.ok ? answer : { error: answer.error, message: answer.error_description };
};

const handlers = new Map([
  ['TVP_FETCH_RESOURCE', fetchResource],
  ['TVP_HAS_TOKENS', control('session', 'GET')],
  ['TVP_REFRESH_TOKENS', control('refresh', 'POST')],
  ['TVP_REMOVE_TOKENS', control('remove', 'POST')],
]);

async function answer(message) {
  const handler = handlers.get(message?.type);
  if (!handler) return { error: 'unrecognized_event', message: 'the message is of no known type' };
  try {
    return await handler(message);
  } catch {
    const failed = problem('server_error', 'the vault could not be reached', message.request?.url);
    return handler === fetchResource ? failed : failed.body;
  }
}

// Only a frame, only for the page that holds the frame, and only when that is a
// listed application. Opened as a window, or by one, the page does nothing.
if (window.parent !== window && window.opener === null) {
  window.addEventListener('message', async (event) => {
    const [port] = event.ports;
    if (event.source !== window.parent || !apps.includes(event.origin) || !port) return;
    port.postMessage(await answer(event.data));
  });
}

// The bridge: runs in a frame that an application loads from the vault's
// origin, takes the application's messages and makes the calls that the route
// list allows. It holds nothing: the session is a cookie that it cannot read.
//
// The messages are those of the Ping SDK's Token Vault: TVP_FETCH_RESOURCE,
// TVP_HAS_TOKENS, TVP_REFRESH_TOKENS, TVP_REMOVE_TOKENS.

const list = fetch('/.tokenvault/routes', { cache: 'no-store' }).then((r) => r.json());
list.catch(() => {}); // each message that needs it reports the failure

const call = (path, init, header) => fetch(path, {
  ...init,
  headers: { ...init.headers, [header]: '1' },
  credentials: 'same-origin', cache: 'no-store', redirect: 'manual', referrerPolicy: 'no-referrer',
});

// own returns the address under this origin that stands for url, or nothing.
function own(url, method, { routes }) {
  const u = new URL(url);
  if (u.origin === location.origin && /^\/(am\/)?oauth2\//.test(u.pathname)) return u.pathname + u.search;
  const plain = u.origin + u.pathname;
  for (const { method: only, from, to, exact } of routes) {
    if (only && only !== method && !(only === 'GET' && method === 'HEAD')) continue;
    for (const start of [from, to]) {
      if (exact ? plain === start : plain.startsWith(start)) {
        return new URL(to).pathname + plain.slice(start.length) + u.search;
      }
    }
  }
  return undefined;
}

const problem = (error, message) => ({
  body: { error, message }, headers: { 'content-type': 'application/json' },
  ok: false, redirected: false, status: 400, statusText: 'Token Vault', type: 'error',
});

// copy makes a response that can be posted. A status of 0, or a body where none
// is allowed, would hang the receiver.
async function copy(response, url) {
  if (response.type === 'opaqueredirect' || response.status === 0) return problem('server_error', 'the resource redirects');
  const headers = {};
  for (const [name, value] of response.headers) {
    if (!['content-encoding', 'content-length', 'transfer-encoding'].includes(name)) headers[name] = value;
  }
  const answer = {
    headers, ok: response.ok, redirected: false, status: response.status,
    statusText: response.statusText, type: response.type, url,
  };
  if ([204, 205, 304].includes(response.status)) return answer;
  const text = await response.text();
  if (text === '') return answer;
  try {
    return { ...answer, body: /[/+]json\b/.test(headers['content-type'] ?? '') ? JSON.parse(text) : text };
  } catch {
    return { ...answer, body: text };
  }
}

async function control(name, method, header) {
  const response = await call(`/.tokenvault/${name}`, { method }, header);
  const answer = await response.json();
  return response.ok ? answer : { error: answer.error, message: answer.error_description };
}

const handlers = {
  async TVP_FETCH_RESOURCE({ request }, routes) {
    const { method = 'GET', headers = {}, body } = request.options ?? {};
    const to = own(request.url, method, routes);
    if (to === undefined) return problem('not_found', 'the request matches no listed resource');
    return copy(await call(to, { method, headers, body: body ?? undefined }, routes.header), request.url);
  },
  TVP_HAS_TOKENS: (_message, { header }) => control('session', 'GET', header),
  TVP_REFRESH_TOKENS: (_message, { header }) => control('refresh', 'POST', header),
  TVP_REMOVE_TOKENS: (_message, { header }) => control('remove', 'POST', header),
};

async function receive(event) {
  const handler = Object.hasOwn(handlers, event.data?.type) ? handlers[event.data.type] : undefined;
  const port = event.ports[0];
  if (!handler || !port) return;
  let routes;
  try {
    routes = await list;
    if (!routes.origins.includes(event.origin) || event.origin === location.origin) return;
    port.postMessage(await handler(event.data, routes));
  } catch {
    const failed = problem('server_error', 'the vault could not be reached');
    port.postMessage(event.data.type === 'TVP_FETCH_RESOURCE' ? failed : failed.body);
  }
}

// Only a frame, only for the page that holds the frame. Opened as a window or
// by one, the page does nothing.
if (window.parent !== window && window.opener === null) {
  window.addEventListener('message', (event) => {
    if (event.source === window.parent) receive(event);
  });
}

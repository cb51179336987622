// The application: an ordinary one, which does the authorization code flow with
// PKCE by itself and puts its access token into its calls. The two lines about
// the vault are the only ones that know of it.
import config from '/config.js';
import { start, logoutURL } from '/tokenvault/client.js';
import { lookEverywhere } from '/attack.js';

const $ = (id) => document.getElementById(id);
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const tokens = () => JSON.parse(localStorage.getItem('tokens') ?? 'null');

async function login() {
  const flow = { verifier: random(), state: random() };
  sessionStorage.setItem('flow', JSON.stringify(flow));
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(flow.verifier))));
  location.assign(`${config.login}/auth?${new URLSearchParams({
    client_id: config.clientId, redirect_uri: config.redirectUri, response_type: 'code', scope: 'openid profile notes',
    state: flow.state, code_challenge: challenge, code_challenge_method: 'S256',
  })}`);
}

async function callback() {
  const query = new URLSearchParams(location.search);
  const flow = JSON.parse(sessionStorage.getItem('flow') ?? '{}');
  sessionStorage.removeItem('flow');
  history.replaceState(null, '', '/');
  if (query.has('error')) throw new Error(query.get('error_description') ?? query.get('error'));
  if (!flow.state || query.get('state') !== flow.state) throw new Error('This login was not started here.');
  const response = await fetch(`${config.login}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', code: query.get('code'), code_verifier: flow.verifier,
      client_id: config.clientId, redirect_uri: config.redirectUri,
    }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description ?? answer.error);
  localStorage.setItem('tokens', JSON.stringify(answer));
}

async function call(init = {}) {
  const response = await fetch(`${config.api}/v1/notes`, {
    ...init, headers: { Authorization: `Bearer ${tokens()?.access_token}`, 'Content-Type': 'application/json' },
  });
  const answer = await response.json();
  if (answer.error === 'invalid_token') return logout();
  if (!response.ok) throw new Error(answer.error_description ?? response.statusText);
  $('list').replaceChildren(...answer.notes.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
  show($('api'), answer.received);
  return answer;
}

function logout() {
  localStorage.removeItem('tokens');
  location.assign(logoutURL(config.home));
}

// show writes value as JSON and marks what is redacted.
function show(pre, value) {
  pre.replaceChildren(...JSON.stringify(value, null, 2).split(/(REDACTED)/).map((part) => (
    part === 'REDACTED' ? Object.assign(document.createElement('mark'), { textContent: part }) : part)));
}

function render() {
  const answer = tokens();
  document.body.dataset.state = answer ? 'in' : 'out';
  if (!answer) return;
  const bytes = Uint8Array.from(atob(answer.id_token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const profile = JSON.parse(new TextDecoder().decode(bytes));
  $('name').textContent = profile.name ?? profile.sub;
  show($('page'), { ...answer, id_token: `${answer.id_token.slice(0, 24)}… (says who you are, opens nothing)` });
}

async function attack() {
  const { places, loot } = await lookEverywhere();
  const found = (place) => loot.filter((l) => l.place === place && l.value !== 'REDACTED');
  const items = places.map((place) => {
    const li = document.createElement('li');
    li.className = found(place).length ? 'found' : '';
    li.textContent = `${place}: ${found(place).length ? `${found(place).length} access or refresh tokens!` : 'no token'}`;
    return li;
  });
  const note = Object.assign(document.createElement('li'), { className: 'note' });
  note.textContent = 'What it can still do: make calls like this page’s own, while the page is open. It cannot take the token with it.';
  $('loot').replaceChildren(...items, note);
}

// act runs what a button does and shows what goes wrong.
const act = (what) => async (event) => {
  event?.preventDefault();
  $('error').textContent = '';
  try { await what(); } catch (error) { $('error').textContent = error.message; }
};

$('login').onclick = act(login);
$('logout').onclick = act(logout);
$('call').onclick = act(call);
$('attack').onclick = act(attack);
$('form').onsubmit = act(async () => {
  await call({ method: 'POST', body: JSON.stringify({ text: $('text').value }) });
  $('text').value = '';
});

await act(async () => {
  await start(); // from here on fetch goes through the vault
  if (location.pathname === '/callback') await callback();
})();
render();

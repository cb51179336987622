// A single-page application as it was before there was a vault: it does the
// authorization code flow with PKCE by itself, keeps the token answer in
// localStorage and puts the access token into its calls. With the vault one
// line is new: start().
import config from '/config.js';

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const say = (state) => { document.getElementById('state').textContent = state; };
const tokens = () => JSON.parse(localStorage.getItem('tokens') ?? 'null');

async function login() {
  const verifier = random();
  const state = random();
  sessionStorage.setItem('flow', JSON.stringify({ verifier, state }));
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
  location.assign(`${config.issuer}/auth?${new URLSearchParams({
    client_id: config.clientId, redirect_uri: config.redirectUri, response_type: 'code', scope: 'openid profile',
    state, code_challenge: challenge, code_challenge_method: 'S256', prompt: 'consent',
  })}`);
}

async function callback() {
  const query = new URLSearchParams(location.search);
  const { verifier, state } = JSON.parse(sessionStorage.getItem('flow'));
  sessionStorage.removeItem('flow');
  if (query.get('state') !== state) throw new Error('another state');
  const response = await fetch(`${config.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', code: query.get('code'), code_verifier: verifier,
      client_id: config.clientId, redirect_uri: config.redirectUri,
    }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  localStorage.setItem('tokens', JSON.stringify(answer));
  history.replaceState(null, '', '/');
}

async function call(url, init = {}) {
  const response = await fetch(url, { ...init, headers: { Authorization: `Bearer ${tokens()?.access_token}`, ...init.headers } });
  const answer = { status: response.status, body: await response.json() };
  document.getElementById('answer').textContent = JSON.stringify(answer, null, 2);
  return answer;
}

window.app = {
  login, tokens,
  api: (path, init) => call(config.api + path, init),
  userinfo: () => call(`${config.issuer}/me`),
};

try {
  if (config.vault) {
    const vault = await import('/tokenvault/client.js');
    await vault.start();
    window.app.vault = vault;
  }
  if (location.pathname === '/callback') await callback();
  say(tokens() ? 'logged in' : 'logged out');
} catch (error) {
  say(`failed: ${error.message}`);
}

// An application of the Ping SDK with its Token Vault, as their documentation
// has it; config.js is the only part that knows this vault.
import { client } from '@forgerock/token-vault';
import { Config, FRUser, TokenManager, UserManager } from '@forgerock/javascript-sdk';
import { forgerock, vault, redirectUri, bye } from './config.js';

const register = client({
  app: { origin: location.origin },
  forgerock,
  interceptor: { file: '/interceptor.js' },
  proxy: { origin: vault },
});
const store = register.store();
Config.set({ ...forgerock, redirectUri, tokenStore: store });

const say = (state) => { document.getElementById('state').textContent = state; };

window.app = {
  store,
  login: () => TokenManager.getTokens({ login: 'redirect', forceRenew: true, skipBackgroundRequest: true }),
  user: () => UserManager.getCurrentUser(),
  logout: () => FRUser.logout({ logoutRedirectUri: bye }),
  api: async (url, init) => {
    const response = await fetch(url, init);
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : {} };
  },
};

try {
  await register.interceptor();
  await register.proxy(document.getElementById('vault'));
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => { navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }); });
  }
  const query = new URLSearchParams(location.search);
  if (query.has('code')) {
    window.app.exchanged = await TokenManager.getTokens({ query: { code: query.get('code'), state: query.get('state') } });
    history.replaceState(null, '', '/');
  }
  say((await store.has()).hasTokens ? 'logged in' : 'logged out');
} catch (error) {
  say(`failed: ${error.message}`);
}

// A real OpenID Connect provider, started and driven by authserver.go: its
// configuration is the first line of standard input, each further line a
// command; the server ends when standard input does.
import { createServer as http } from 'node:http';
import { createServer as https } from 'node:https';
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { createInterface } from 'node:readline';
import { Console } from 'node:console';
import { Provider, errors } from 'oidc-provider';

// Standard output is for answers; what the provider has to say goes elsewhere.
globalThis.console = new Console(process.stderr);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);

// Storage. The provider's own memory adapter forgets the oldest of 1000
// entries, and consumes without atomicity; this one does neither.
const stored = new Map();
const members = new Map(); // grant id -> keys
const revoked = new Set(); // grant ids
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) {
    const key = this.key(id);
    stored.set(key, { ...payload });
    if (payload.uid && this.model === 'Session') stored.set(`uid:${payload.uid}`, id);
    if (payload.grantId) {
      if (!members.has(payload.grantId)) members.set(payload.grantId, new Set());
      members.get(payload.grantId).add(key);
    }
  }
  async find(id) {
    const payload = stored.get(this.key(id));
    if (!payload || revoked.has(payload.grantId)) return undefined;
    if (payload.exp && payload.exp < Date.now() / 1000) return undefined;
    return { ...payload };
  }
  async findByUid(uid) { return this.find(stored.get(`uid:${uid}`)); }
  async findByUserCode() { return undefined; }
  async destroy(id) { stored.delete(this.key(id)); }
  async consume(id) {
    const payload = stored.get(this.key(id));
    if (!payload || payload.consumed) {
      if (payload) await this.revokeByGrantId(payload.grantId);
      throw new errors.InvalidGrant('refresh token already used');
    }
    payload.consumed = Math.floor(Date.now() / 1000);
  }
  async revokeByGrantId(grantId) {
    revoked.add(grantId);
    for (const key of members.get(grantId) ?? []) stored.delete(key);
    members.delete(grantId);
  }
}

const counts = {};
const count = (what) => { counts[what] = (counts[what] ?? 0) + 1; };

const keys = [];
let generations = 0;
async function addKeys() {
  const make = promisify(generateKeyPair);
  const fresh = await Promise.all([
    make('rsa', { modulusLength: 2048 }), make('ec', { namedCurve: 'P-256' }), make('ed25519'),
  ]);
  generations += 1;
  const name = `k${generations}`;
  keys.unshift(...fresh.map(({ privateKey }, i) => ({
    ...privateKey.export({ format: 'jwk' }), use: 'sig',
    alg: ['RS256', 'ES256', 'EdDSA'][i], kid: `${name}-${['rs', 'es', 'ed'][i]}`,
  })));
}

// Keys of a running provider cannot be changed: a rotation builds a new one
// over the same storage.
let handle;
async function build() {
  const provider = new Provider(config.issuer, {
    adapter: Adapter,
    clients: config.clients,
    jwks: { keys },
    cookies: { keys: ['one long secret of a test server'] },
    clockTolerance: 0,
    scopes: ['openid', 'offline_access', 'profile', 'email', ...(config.scopes ?? [])],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `User ${id}`, email: `${id}@example.test`, email_verified: true }),
    }),
    conformIdTokenClaims: false,
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: config.accessTokenTTL, ClientCredentials: config.accessTokenTTL,
      AuthorizationCode: 600, IdToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 3600,
    },
    clientBasedCORS: () => true,
    // Its own guard refuses loopback addresses, where a test's clients live.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      userinfo: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => config.defaultResource || undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_ctx, resource) => {
          const server = config.resources?.[resource];
          if (!server) throw new errors.InvalidTarget();
          return {
            audience: resource, scope: server.scope ?? '', accessTokenTTL: config.accessTokenTTL,
            accessTokenFormat: server.format ?? 'jwt', jwt: { sign: { alg: server.alg ?? 'RS256' } },
          };
        },
      },
    },
  });
  provider.on('grant.success', (ctx) => count(`grant.success ${ctx.oidc.params.grant_type}`));
  provider.on('grant.error', (ctx, err) => count(`grant.error ${err.error_detail ?? err.error}`));
  handle = provider.callback();
}

await addKeys();
await build();
const listener = (req, res) => {
  count(`${req.method} ${new URL(req.url, config.issuer).pathname}`);
  handle(req, res);
};
const server = config.cert ? https({ cert: config.cert, key: config.key }, listener) : http(listener);
await new Promise((resolve) => { server.listen(config.port, '127.0.0.1', resolve); });
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true });

const commands = {
  counts: () => counts,
  // rotate adds keys in front; keep is how many generations stay published.
  rotate: async ({ keep }) => {
    await addKeys();
    keys.length = Math.min(keys.length, keep * 3);
    await build();
    return keys.map(({ kid }) => kid);
  },
};
for await (const line of lines) {
  const { command, ...args } = JSON.parse(line);
  say({ result: await commands[command](args) });
}
process.exit(0);

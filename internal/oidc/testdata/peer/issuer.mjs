// An OpenID provider for the tests of internal/auth and internal/oidc: oidc-provider, with its own pages for signing in.
// Says the port on which it listens. argv: the redirect addresses of the client, which is "plinth".
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'plinth', client_secret: 'the secret of the client', redirect_uris: process.argv.slice(2), grant_types: ['authorization_code'], response_types: ['code'] }],
    cookies: { keys: ['a key of the test'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture', 'preferred_username'] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: !id.startsWith('unverified'), name: `Name of ${id}`, preferred_username: id }),
    }),
  });
  server.on('request', provider.callback());
  console.log(server.address().port);
});
process.stdin.resume().on('end', () => process.exit(0));

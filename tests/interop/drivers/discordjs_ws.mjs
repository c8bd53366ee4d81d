// @discordjs/ws with @discordjs/rest. The REST client's `api` option is the documented way to another address; the
// gateway's comes from GET /gateway/bot. zstd-stream is not among its compressions.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const tell = (saw, facts = {}) => console.log(JSON.stringify({ saw, ...facts }));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const options = JSON.parse((await lines.next()).value);
const require = createRequire(join(options.modules, 'package.json'));
const { REST } = require('@discordjs/rest');
const { CompressionMethod, WebSocketManager, WebSocketShardEvents: Events, version } = require('@discordjs/ws');

const manager = new WebSocketManager({
  rest: new REST({ version: '10', api: options.api.replace(/\/v10$/, '') }).setToken(options.token),
  token: options.token,
  intents: options.intents,
  compression: options.compress === 'zlib-stream' ? CompressionMethod.ZlibNative : null,
  initialPresence: { since: null, activities: [{ name: options.activity, type: 0 }], status: 'idle', afk: false },
  useIdentifyCompression: options.compress === 'payload',
});

const stop = (code, error) => {
  tell('stopped', { code, error });
  // Not process.exit: a client that dialled again must be seen.
};
let latency = null;
let closing = false;

manager.on(Events.Ready, (data) =>
  tell('ready', { user: data.user.id, guilds: data.guilds.map((guild) => guild.id).sort() }),
);
manager.on(Events.Resumed, () => tell('resumed'));
manager.on(Events.Dispatch, (payload) => {
  tell('dispatch', { name: payload.t, number: payload.d?._number ?? null });
  if (payload.t === 'GUILD_CREATE') tell('guild', { id: payload.d.id, name: payload.d.name });
  if (payload.t === 'MESSAGE_CREATE') tell('message', { content: payload.d.content });
  if (payload.t === 'GUILD_MEMBERS_CHUNK')
    tell('members', { count: payload.d.members.length, nonce: payload.d.nonce ?? null });
});
manager.on(Events.HeartbeatComplete, (stats) => {
  latency = stats.latency / 1000;
});
manager.on(Events.Closed, (code) => {
  // These it does not come back from; its own error for them follows.
  if ([4004, 4010, 4011, 4012, 4013, 4014].includes(code)) stop(code, `closed with ${code}`);
});
manager.on(Events.Error, (error) => tell('log', { level: 'WARNING', text: String(error) }));
manager.on(Events.SocketError, (error) => tell('log', { level: 'WARNING', text: String(error) }));
process.on('unhandledRejection', (error) => tell('log', { level: 'ERROR', text: String(error) }));

const obey = async (command) => {
  switch (command.do) {
    case 'presence':
      return manager.send(0, {
        op: 3,
        d: { since: null, activities: [{ name: command.activity, type: 0 }], status: command.status, afk: false },
      });
    case 'voice':
      return manager.send(0, {
        op: 4,
        d: { guild_id: command.guild, channel_id: command.channel, self_mute: false, self_deaf: false },
      });
    case 'members':
      return manager.send(0, {
        op: 8,
        d: { guild_id: command.guild, query: command.query, limit: command.limit, nonce: command.nonce },
      });
    case 'members by id':
      return manager.send(0, {
        op: 8,
        d: { guild_id: command.guild, user_ids: command.ids, limit: 0, nonce: command.nonce },
      });
    case 'latency':
      return tell('latency', { seconds: latency });
    case 'close':
      closing = true;
      await manager.destroy();
      stop(null, null);
      return process.exit(0);
  }
};

tell('start', { version });
manager.connect().catch((error) => {
  if (closing) return;
  stop(error.status ?? null, String(error));
  if (error.status) process.exit(1);
});
for (let next = await lines.next(); !next.done; next = await lines.next()) {
  await obey(JSON.parse(next.value)).catch((error) => tell('log', { level: 'ERROR', text: String(error) }));
}
process.exit(0);

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
  const d = payload.d;
  switch (payload.t) {
    // It has no events of its own for these; what a library on top of it makes of them, by the same fields.
    case 'GUILD_CREATE':
      return tell(d.unavailable === undefined ? 'joined' : 'guild', { id: d.id, name: d.name });
    case 'GUILD_DELETE':
      return tell(d.unavailable ? 'unavailable' : 'left', { id: d.id });
    case 'MESSAGE_CREATE':
      return tell('message', { id: d.id, content: d.content });
    case 'GUILD_MEMBERS_CHUNK': {
      const ids = d.members.map((member) => member.user.id);
      tell('chunk', {
        guild: d.guild_id,
        ids,
        index: d.chunk_index,
        count: d.chunk_count,
        nonce: d.nonce ?? null,
        not_found: d.not_found ?? null,
        presences: d.presences?.map((presence) => presence.user.id) ?? null,
      });
      return tell('members', { ids });
    }
  }
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
        d: {
          guild_id: command.guild,
          user_ids: command.ids,
          limit: 0,
          presences: command.presences,
          nonce: command.nonce,
        },
      });
    case 'all members':
      return manager.send(0, {
        op: 8,
        d: { guild_id: command.guild, query: '', limit: 0, presences: command.presences, nonce: command.nonce },
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

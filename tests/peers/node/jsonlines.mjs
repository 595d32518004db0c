// One JSON object per line on stdin, one reply per line on stdout, in the same order (see ../README.md).
import readline from 'node:readline';

/** Calls `commands[name](value, furtherKeys)` for each line, where `name` is the object's first key. */
export async function serveCommands(commands) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (!line.trim()) continue;
    const command = JSON.parse(line);
    const [name, value] = Object.entries(command)[0];
    let reply;
    try {
      reply = (await commands[name](value, command)) ?? { ok: name };
    } catch (e) {
      reply = { error: e.message, kind: e.name, ...e.details };
    }
    process.stdout.write(JSON.stringify(reply) + '\n');
  }
}

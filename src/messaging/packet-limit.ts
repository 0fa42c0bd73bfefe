import { Duplex } from 'node:stream';
import { payloadMax } from './link.ts';

/** Largest MQTT packet that is let in: the largest payload and room for its topic. */
export const packetMax = payloadMax + 1024;

/**
 * `socket`, closed as soon as the other end announces an MQTT packet above `packetMax`: both parsers (the client's and
 * the broker's) would otherwise collect up to 256 MB for it (MQTT 3.1.1 §2.2.3), and neither end trusts the other.
 */
export function limitPackets(socket: Duplex, max: number = packetMax): Duplex {
  const frames = frameWatcher(max);
  const limited = new Duplex({
    read: () => {
      socket.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, done);
    },
    writev: (chunks, done) => {
      socket.cork();
      for (const [at, { chunk }] of chunks.entries())
        socket.write(chunk as Buffer, at === chunks.length - 1 ? done : undefined);
      socket.uncork();
    },
    final: (done) => {
      socket.end(done);
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (!frames(chunk)) limited.destroy(new Error('an MQTT packet above the limit'));
    else if (!limited.push(chunk)) socket.pause();
  });
  socket.on('end', () => limited.push(null));
  socket.on('error', (error) => limited.destroy(error));
  socket.on('close', () => limited.destroy());
  return limited;
}

/** Follows fixed headers (MQTT 3.1.1 §2.2) through chunks; false when a packet is longer than `max`. */
function frameWatcher(max: number): (chunk: Uint8Array) => boolean {
  let left = 0; // bytes of the current packet still to come
  let lengthAt = -1; // which byte of Remaining Length comes next; -1: the first byte of a packet
  let length = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (left > 0) {
        const step = Math.min(left, chunk.length - at);
        left -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++] ?? 0;
      if (lengthAt < 0) {
        lengthAt = 0;
        length = 0;
        continue;
      }
      length += (byte & 0x7f) * 128 ** lengthAt;
      if (length > max || lengthAt > 3) return false;
      if (byte & 0x80) lengthAt += 1;
      else {
        left = length;
        lengthAt = -1;
      }
    }
    return true;
  };
}

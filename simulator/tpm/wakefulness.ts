import { availableParallelism } from 'node:os';

/** About a tenth of a millisecond: as long as a tool takes from its connection to its command, and on to the next. */
const turns = 80;

/**
 * For a server whose clients come back at once: each call keeps its event loop turning for {@link turns} more turns. A
 * process that slept would have to be woken for every piece of an exchange, which costs more than the exchange itself.
 * Where there is one processor alone, the client needs it, and nothing is done.
 */
export function wakefulness(processors = availableParallelism()): () => void {
  let left = 0;
  const turn = () => {
    left--;
    if (left > 0) setImmediate(turn);
  };
  return () => {
    if (processors < 2) return;
    if (left === 0) setImmediate(turn);
    left = turns;
  };
}

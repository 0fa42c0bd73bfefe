/** Runs each piece of work when all that was given before it has ended, well or badly. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** A queue of its own: work one after the other, in the order in which it was asked for. */
export function oneAfterTheOther(): InTurn {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = tail.then(work);
    tail = turn.catch(() => {}); // whoever asked is told; those who wait are not
    return turn;
  };
}

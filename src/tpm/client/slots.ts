/** A few places that are taken all at once, first come, first served, so that no two holders wait for each other. */
export class Slots {
  readonly #size: number;
  #free: number;
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];

  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  /** Runs `work` while holding `count` places. It must not ask for more of them itself. */
  async hold<T>(count: number, work: () => Promise<T>): Promise<T> {
    if (count > this.#size) throw new TypeError(`\`count\` must be at most ${this.#size}`);
    if (this.#waiting.length > 0 || this.#free < count)
      await new Promise<void>((go) => this.#waiting.push({ count, go }));
    else this.#free -= count;
    try {
      return await work();
    } finally {
      this.#free += count;
      for (
        let next = this.#waiting[0];
        next !== undefined && next.count <= this.#free;
        next = this.#waiting[0]
      ) {
        this.#waiting.shift();
        this.#free -= next.count;
        next.go();
      }
    }
  }
}

/** A way to a TPM. Whatever has `exchange` is one: a socket, a device, a software TPM in the same process. */
export interface Transport {
  /**
   * Sends one command and resolves with its answer. Called again only when the last call has settled. A transport that
   * can, gives up when `signal` is aborted; its next call begins afresh.
   */
  exchange(command: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** Lets go of the TPM; idempotent. */
  close?(): Promise<void> | void;
}

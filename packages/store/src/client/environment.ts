/** What collections and transactions take from their thread; handed in, so that a test can give its own. */
export interface StoreEnvironment {
  nowMs(): number
  /** At least 0, below 1. */
  random(): number
  /** Calls back after a time, once; returns what cancels it. */
  after(delayMs: number, callBack: () => void): () => void
  /** Blocks the thread. */
  sleep(delayMs: number): void
  /** Somebody else was quicker: told each time. */
  onConflict?(operation: string, attempt: number, isLast: boolean): void
}

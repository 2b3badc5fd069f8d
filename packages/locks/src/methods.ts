/** Loading the methods, each once per thread, and choosing one for a new file. */
import { descriptorOpener, type OpenClaim } from './claim.ts'
import { isLockError, unavailable } from './errors.ts'
import { METHOD_NAMES, type MethodName } from './header.ts'
import { HostClient } from './host-client.ts'
import { loadOfd } from './native-locks.ts'
import type { Platform } from './platform.ts'

export class Methods {
  readonly #platform: Platform
  #host: HostClient | undefined
  #ofd: OpenClaim | undefined

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /** Throws RINGBOLT_LOCK_METHOD_UNAVAILABLE, naming the method and why. Tried anew after a failure. */
  async load(name: MethodName): Promise<OpenClaim> {
    if (name !== 'ofd') {
      this.#host ??= new HostClient(this.#platform)
      return await this.#host.load(name)
    }
    this.#ofd ??= descriptorOpener(this.#platform.files, loadOfd(this.#platform))
    return this.#ofd
  }

  /** The first that loads, in the order of preference. */
  async choose(): Promise<MethodName> {
    const reasons: string[] = []
    for (const name of METHOD_NAMES) {
      try {
        await this.load(name)
        return name
      } catch (error) {
        if (!isLockError(error, 'RINGBOLT_LOCK_METHOD_UNAVAILABLE')) throw error
        reasons.push(error.message)
      }
    }
    throw unavailable('any', reasons.join('; '))
  }
}

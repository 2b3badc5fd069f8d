/** Says in which file, and where, a page of the trees is not what it has to be. */
import { StoreCorruptError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'

export class Corruption {
  readonly #file: string

  /** @param file its name, for messages */
  constructor(file: string) {
    this.#file = file
  }

  /** @throws StoreCorruptError always */
  fail(pageId: number, what: string, expected: string | number, actual: string | number): never {
    const place = { file: this.#file, offset: pageId * PAGE_BYTES }
    throw new StoreCorruptError(place, `${what} of page ${pageId}`, expected, actual)
  }
}

/** When nobody says what the file is called. */
export const MAIN_FILE = 'the main file'

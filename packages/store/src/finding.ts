/** What an integrity check finds, one thing at a time: typed, located, in words. */
import type { Id } from './document/keys.ts'

/**
 * checksum              a page is not what its checksum, or its reference's, says; or it stands in another's place
 * page                  a page whose parts do not fit it: its kind, its layout, a cell
 * dangling-reference    a reference to a page that is not there
 * page-used-twice       a page that is referred to more than once, or in use and free
 * orphan-page           a page that is neither reached nor free: lost room
 * depth                 a page on another level than its place in the tree says
 * fence                 the bounds of a page differ from those above, or a key lies outside of them
 * key-order             keys that do not rise
 * overflow              the pages of a long value do not add up to it
 * sequence              a commit sequence above that of the page over it
 * count                 a number of entries or pages that was stated, and is another
 * free-list             the list of free pages cannot be read, or contradicts itself
 * meta                  a meta, or the file as a whole: its head, its length
 * catalog               what the catalog says of collections and their trees
 * document              a document that cannot be read, or that stands under another's id
 * missing-index-entry   a document without an entry that it is due
 * orphaned-index-entry  an entry that no document vouches for
 * log-chain             the log: a segment, a group, the chain of them
 */
export type IntegrityKind =
  | 'checksum'
  | 'page'
  | 'dangling-reference'
  | 'page-used-twice'
  | 'orphan-page'
  | 'depth'
  | 'fence'
  | 'key-order'
  | 'overflow'
  | 'sequence'
  | 'count'
  | 'free-list'
  | 'meta'
  | 'catalog'
  | 'document'
  | 'missing-index-entry'
  | 'orphaned-index-entry'
  | 'log-chain'

interface Facts {
  readonly kind: IntegrityKind
  readonly pageId?: number
  /** Number of the tree through which it was reached. */
  readonly tree?: number
  readonly collection?: string
  readonly index?: string
  readonly documentId?: Id
  readonly what: string
  readonly expected: string | number
  readonly actual: string | number
}

export interface IntegrityFinding extends Facts {
  readonly file: string
  /** Of the page, group or byte that is meant. */
  readonly offset: number
  /** All of it as a sentence. */
  readonly message: string
}

/** As the one who comes upon it tells it; place and sentence are completed. */
export interface Found extends Facts {
  /** The main file when absent. */
  readonly file?: string
  /** The page's first byte when absent. */
  readonly offset?: number
  /** In words, when "what is actual, expected expected" does not say it well. */
  readonly problem?: string
}

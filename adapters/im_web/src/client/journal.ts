/**
 * What must outlive the page, in IndexedDB: one database for each server, user and device.
 *
 * Only the tab that holds the lock opens it. A browser may throw the data of a page away when its
 * disk is full, and Safari does after seven days without a visit; a page that minds calls
 * `navigator.storage.persist()`.
 */

import type { Change, Cursor, Identity, JournalData, OutgoingRecord } from '../generated/types'
import type { Environment } from '../types'

const VERSION = 1
/** A browser that does not answer is given up after so many ms. */
const PATIENCE = 5000
/** So many pairs more than are wanted are kept before the oldest go. */
const SLACK = 256
const STORES = ['meta', 'outgoing', 'handled', 'pairs'] as const

interface Pair {
  pair: [string, string]
  /** the higher, the newer */
  n: number
  fromUser: number | string
  msgId: number | string
  digest: string
}

/** Is it there, and what does it hold? */
export interface Opened {
  journal: Journal
  data: JournalData
}

/** An open journal. */
export class Journal {
  #db: IDBDatabase | null
  #epoch: string | null
  #seq: number
  #offered: number
  #n: number
  #fresh = 0

  private constructor(
    readonly env: Environment,
    readonly name: string,
    readonly knownPairs: number,
    db: IDBDatabase,
    data: JournalData,
    n: number,
  ) {
    this.#db = db
    this.#epoch = data.cursor?.epoch ?? null
    this.#seq = data.cursor?.seq ?? 0
    this.#offered = data.offered
    this.#n = n
    this.#watch(db)
  }

  /**
   * Open it and read all of it.
   *
   * @throws {Error} why it can't be used: forbidden, blocked, of a later version, damaged.
   */
  static async open(env: Environment, name: string, knownPairs: number): Promise<Opened> {
    const db = await connect(env, name)
    try {
      const [data, n] = await inTime(env, load(db, knownPairs))
      return { journal: new Journal(env, name, knownPairs, db, data, n), data }
    } catch (error) {
      db.close()
      throw error
    }
  }

  /**
   * Write these changes, in order, all or none.
   *
   * @throws {Error} none was written; says why.
   */
  async write(changes: readonly Change[]): Promise<void> {
    const db = (this.#db ??= this.#watch(await connect(this.env, this.name)))
    const transaction = db.transaction(STORES, 'readwrite', { durability: 'strict' })
    const written = ended(transaction)
    const after = { epoch: this.#epoch, seq: this.#seq, offered: this.#offered, n: this.#n }
    const timer = this.env.setTimeout(() => transaction.abort(), PATIENCE)
    try {
      for (const change of changes) put(transaction, change, after)
      const fresh = this.#fresh + after.n - this.#n
      if (fresh > SLACK) forget(transaction.objectStore('pairs'), this.knownPairs)
      await written
      ;[this.#epoch, this.#seq, this.#offered] = [after.epoch, after.seq, after.offered]
      ;[this.#n, this.#fresh] = [after.n, fresh > SLACK ? 0 : fresh]
    } catch (error) {
      written.catch(() => {})
      throw error
    } finally {
      this.env.clearTimeout(timer)
    }
  }

  /** Let go of it. What is being written is written. */
  close(): void {
    this.#db?.close()
    this.#db = null
  }

  /** The browser may take it away; the next write asks for it again. */
  #watch(db: IDBDatabase): IDBDatabase {
    db.onclose = () => (this.#db = null)
    db.onversionchange = () => this.close()
    return db
  }
}

function put(
  transaction: IDBTransaction,
  change: Change,
  after: { epoch: string | null; seq: number; offered: number; n: number },
): void {
  const store = (name: (typeof STORES)[number]): IDBObjectStore => transaction.objectStore(name)
  switch (change.type) {
    case 'OutgoingRecord':
      store('outgoing').put(change)
      break
    case 'OutgoingGone':
      store('outgoing').delete(change.ref)
      break
    case 'Identity':
      store('meta').put(change, 'identity')
      break
    case 'Cursor':
      if (after.epoch !== null && after.epoch !== change.epoch) {
        after.offered = 0
        store('meta').delete('offered')
        store('handled').clear()
      }
      after.epoch = change.epoch
      after.seq = change.seq
      store('meta').put(change, 'cursor')
      store('handled').delete(IDBKeyRange.upperBound(change.seq))
      break
    case 'Offered':
      after.offered = Math.max(after.offered, change.seq)
      store('meta').put(after.offered, 'offered')
      break
    case 'Handled':
      if (change.seq > after.seq) store('handled').put(change.seq, change.seq)
      break
    case 'PairKnown': {
      const { fromUser, msgId, digest } = change
      const pair = [String(fromUser), String(msgId)]
      store('pairs').put({ pair, n: ++after.n, fromUser, msgId, digest })
    }
  }
}

/** Leave so many pairs, the newest. */
function forget(pairs: IDBObjectStore, keep: number): void {
  const counted = pairs.count()
  counted.onsuccess = () => {
    let many = counted.result - keep
    const oldest = pairs.index('n').openCursor()
    oldest.onsuccess = () => {
      if (!oldest.result || many-- <= 0) return
      oldest.result.delete()
      oldest.result.continue()
    }
  }
}

async function load(db: IDBDatabase, knownPairs: number): Promise<[JournalData, number]> {
  const transaction = db.transaction(STORES, 'readonly')
  const store = (name: (typeof STORES)[number]): IDBObjectStore => transaction.objectStore(name)
  const [identity, cursor, offered, outgoing, handled, pairs] = await Promise.all([
    answer<Identity | undefined>(store('meta').get('identity')),
    answer<Cursor | undefined>(store('meta').get('cursor')),
    answer<number | undefined>(store('meta').get('offered')),
    answer<OutgoingRecord[]>(store('outgoing').getAll()),
    answer<number[]>(store('handled').getAll()),
    answer<Pair[]>(store('pairs').index('n').getAll()),
  ])
  const newest = knownPairs ? pairs.slice(-knownPairs) : []
  const data: JournalData = {
    identity: identity ?? null,
    cursor: cursor ?? null,
    offered: offered ?? 0,
    ...{ outgoing, handled, knownPairs },
    pairs: newest.map(({ fromUser, msgId, digest }) => [fromUser, msgId, digest]),
  }
  if (!isSound(data)) throw new Error('what is stored is damaged')
  return [data, pairs.at(-1)?.n ?? 0]
}

/** Is it what a client has written, as far as the types of it show? */
function isSound({ identity, cursor, offered, outgoing, handled, pairs }: JournalData): boolean {
  const number = Number.isSafeInteger
  const id = (value: unknown): boolean => number(value) || typeof value === 'string'
  const text = (value: unknown): boolean => typeof value === 'string'
  return (
    (!identity || (text(identity.deviceId) && id(identity.highestMsgId))) &&
    (!cursor || (text(cursor.epoch) && number(cursor.seq))) &&
    number(offered) &&
    handled.every(number) &&
    pairs.every(([user, msgId, digest]) => id(user) && id(msgId) && text(digest)) &&
    outgoing.every(
      (one) =>
        number(one.ref) &&
        id(one.msgId) &&
        id(one.toUser) &&
        text(one.content) &&
        text(one.messageType) &&
        number(one.unsureSends) &&
        ['high', 'normal', 'low'].includes(one.priority),
    )
  )
}

function connect(env: Environment, name: string): Promise<IDBDatabase> {
  const { indexedDB } = env
  if (!indexedDB) return Promise.reject(new Error('this browser has no IndexedDB'))
  let late = false
  const opened = new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name, VERSION)
    request.onupgradeneeded = () => {
      const db = request.result
      db.createObjectStore('meta')
      db.createObjectStore('outgoing', { keyPath: 'ref' })
      db.createObjectStore('handled')
      db.createObjectStore('pairs', { keyPath: 'pair' }).createIndex('n', 'n')
    }
    request.onsuccess = () => {
      if (late) request.result.close()
      resolve(request.result)
    }
    request.onerror = () => reject(told(request.error))
  })
  return inTime(env, opened).catch((error: unknown) => {
    late = true
    throw error
  })
}

/** What a promise gives, or an error when that takes too long. */
function inTime<T>(env: Environment, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = env.setTimeout(
      () => reject(new Error('the browser did not answer in time')),
      PATIENCE,
    )
    promise.then(resolve, reject).finally(() => env.clearTimeout(timer))
  })
}

function answer<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T)
    request.onerror = () => reject(told(request.error))
  })
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(told(transaction.error))
  })
}

/** A browser's error in a word: its text may hold what was to be written. */
function told(error: DOMException | null): Error {
  const name = error?.name ?? 'AbortError'
  return new Error(
    name === 'QuotaExceededError' ? 'the browser gives this page no more room' : name,
  )
}

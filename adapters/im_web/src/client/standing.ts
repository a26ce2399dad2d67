/** Who waits in connect(), and why the client has given up. */

import { IMError } from '../core/errors'
import type { Environment } from '../types'

/** Somebody who waits in connect(). */
interface Login {
  retry: boolean
  end: (error: IMError | null) => void
}

export class Standing {
  readonly #logins = new Set<Login>()
  /** why the client will not go on by itself */
  gaveUp: IMError | null = null

  constructor(readonly env: Environment) {}

  /** Does anybody wait in connect()? */
  get waiting(): boolean {
    return this.#logins.size > 0
  }

  /**
   * Wait for a log-in.
   *
   * @param retry - failed attempts are no end of it.
   * @param timeout - ms; null waits as long as it takes.
   * @param late - makes the error of one that took too long.
   * @returns why there is none; null: logged in.
   */
  wait(
    retry: boolean,
    timeout: number | null,
    late: (timeout: number) => IMError,
  ): Promise<IMError | null> {
    return new Promise((resolve) => {
      let timer: unknown
      const login: Login = {
        retry,
        end: (error) => {
          if (!this.#logins.delete(login)) return
          this.env.clearTimeout(timer)
          resolve(error)
        },
      }
      this.#logins.add(login)
      if (timeout !== null) timer = this.env.setTimeout(() => login.end(late(timeout)), timeout)
    })
  }

  /** A log-in succeeded. */
  loggedIn(): void {
    this.gaveUp = null
    this.turnAway(null)
  }

  /** An attempt, or a link, failed; with `anotherWay` it is no failure of connect() yet. */
  trouble(error: IMError, anotherWay: boolean): void {
    if (error.terminal) this.gaveUp = error
    for (const login of [...this.#logins]) {
      if (error.terminal || !(login.retry || anotherWay)) login.end(error)
    }
  }

  /** Nobody waits in connect() any more. */
  turnAway(error: IMError | null): void {
    for (const login of [...this.#logins]) login.end(error)
  }
}

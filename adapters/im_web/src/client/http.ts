/** Calls over HTTP, with `fetch`. */

import type { CallHttp, HttpAnswered, HttpFailed } from '../generated/types'
import type { Environment } from '../types'

/** A server can't send a client away for longer than this, in seconds. */
const LONGEST_RETRY = 86_400

/** Carries out CallHttp and CancelHttp; each call that is not cancelled has one answer. */
export class HttpCalls {
  readonly #running = new Map<number, AbortController>()

  /** @param answer - takes what became of a call, never inside of `start`. */
  constructor(
    readonly env: Environment,
    readonly answer: (answer: HttpAnswered | HttpFailed) => void,
  ) {}

  start(call: CallHttp): void {
    const abort = new AbortController()
    this.#running.set(call.request, abort)
    void perform(this.env, call, abort.signal).then((answer) => {
      if (this.#running.delete(call.request)) this.answer(answer)
    })
  }

  /** Nobody waits for it any more. */
  cancel(request: number): void {
    const abort = this.#running.get(request)
    this.#running.delete(request)
    abort?.abort()
  }

  cancelAll(): void {
    for (const request of [...this.#running.keys()]) this.cancel(request)
  }
}

async function perform(
  env: Environment,
  call: CallHttp,
  signal: AbortSignal,
): Promise<HttpAnswered | HttpFailed> {
  const { request, method, url, headers, body } = call
  const failed = (reason: string): HttpFailed => ({ type: 'HttpFailed', request, reason })
  try {
    const response = await env.fetch(url, {
      ...{ method, headers: headers as [string, string][], signal, body: body || null },
      ...{ redirect: 'manual', credentials: 'omit', cache: 'no-store' },
      referrerPolicy: 'no-referrer',
    })
    if (response.type === 'opaqueredirect') return failed('the server sends the call elsewhere')
    return {
      ...{ type: 'HttpAnswered', request, status: response.status },
      body: await read(response, call.limit),
      retryAfter: retryAfter(response.headers),
    }
  } catch {
    // the browser's own text says no more
    return failed('the browser does not say why: no network, a wrong address, or no CORS')
  }
}

/** The body as far as it is wanted, and a little more if there is more. */
async function read(response: Response, limit: number): Promise<string> {
  const reader = response.body?.getReader()
  if (!reader) return ''
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true })
    if (text.length > limit) {
      void reader.cancel().catch(() => {})
      return text.slice(0, limit + 1)
    }
  }
}

function retryAfter(headers: Headers): number | null {
  const given = headers.get('retry-after') ?? ''
  return /^[0-9]+$/.test(given) ? Math.min(Number(given), LONGEST_RETRY) : null
}

/**
 * How a call about sessions goes over HTTP (protocol.md section 3). Functions without a memory;
 * `sessions` has it.
 */

import { MAX_BODY } from '../generated/tables'
import type { CallHttp } from './actions'
import type { CoreConfig } from './config'
import type { HttpAnswered } from './inputs'
import { kindOf, params } from './session-calls'
import type { Kind, Reply } from './session-calls'
import type { Call } from './calling'
import { utf8Length } from './text'
import { BadAnswer, readAnswer } from './wire/session'
import type { Answer, SessionOp } from './wire/session'

/** Can it be sent, and nothing be smuggled with it? */
export function fitsAHeader(token: string): boolean {
  return /^[!-~]([ -~]*[!-~])?$/.test(token)
}

/**
 * The request of a call.
 *
 * @param config where it goes.
 * @param call what is asked; its `token` is what it is asked with, its `request` the number.
 * @param timeout seconds after which nobody waits any more.
 */
export function request(config: CoreConfig, call: Call, timeout: number): CallHttp {
  const { doing } = call
  const paths: Record<SessionOp, string> = {
    get: '/session/get',
    create: config.http.createPath,
    startChat: '/session/startChat',
    getCurrent: '/session/getCurrent',
    history: '/message/history',
  }
  let path = paths[doing]
  const fields = params(doing, call.wish, call.sessionId, config.userId)
  const headers: [string, string][] = [
    ['satoken', call.token ?? ''],
    ['Accept', 'application/json'],
    ['Accept-Encoding', 'identity'], // so that the limit is one of what is read
  ]
  let body = ''
  // these have their fields in the query, the rest has them in the body
  if (doing === 'get' || doing === 'create') {
    const pairs = Object.entries(fields).map(([name, value]) => `${name}=${quoted(value)}`)
    path += `?${pairs.join('&')}`
  } else {
    headers.push(['Content-Type', 'application/json'])
    body = JSON.stringify(fields)
  }
  return {
    type: 'CallHttp',
    request: call.request,
    method: doing === 'get' ? 'GET' : 'POST',
    url: config.httpUrl + path,
    headers,
    body,
    limit: MAX_BODY,
    timeout,
    unixPath: null,
    proxy: null,
  }
}

/** As forms are written. */
function quoted(value: number | string): string {
  return encodeURIComponent(value)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

/**
 * What an answer comes down to: by its code, else by its HTTP status.
 *
 * @throws BadAnswer: it says that all is well, and can't be read.
 */
export function readReply(answered: HttpAnswered): Reply {
  const { status } = answered
  const [kind, answer] = sort(status, answered)
  return { kind, answer, status, retryAfter: answered.retryAfter }
}

function sort(status: number, { body }: HttpAnswered): [Kind, Answer | null] {
  let answer: Answer | null = null
  try {
    if (utf8Length(body) > MAX_BODY) throw new BadAnswer(`it has more than ${MAX_BODY} bytes`)
    answer = readAnswer(body)
  } catch (error) {
    if (!(error instanceof BadAnswer) || (status >= 200 && status < 300)) throw error
  }
  if (status >= 300 && status < 400) return ['moved', null]
  if (status === 429 || status === 503) return ['failed', answer]
  if (answer === null) return [byStatus(status), null]
  const kind = kindOf(answer)
  return kind === 'success' && status >= 400 ? [byStatus(status), null] : [kind, answer]
}

function byStatus(status: number): Kind {
  if (status === 401) return 'auth'
  if (status === 404 || status === 405) return 'unknown_path'
  return status >= 500 ? 'failed' : 'refused'
}

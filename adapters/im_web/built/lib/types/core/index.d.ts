/** The client's protocol engine: everything that is decided, and nothing that is done. */
export { ClientCore } from './core';
export type { Start } from './ending';
export { IMError, LocalProtocolError, ValueError } from './errors';
export type { IMErrorCode } from './errors';
export { MEANINGS } from './timers';
export type { Timer } from './timers';
export type { Counters } from './effects';
export type { Rng } from './rng';
export type { CoreConfig, GivenConfig } from './config';
export type { CoreAction } from './actions';
export type { ConnectionState, Event } from './events';
export type { CoreInput } from './inputs';
export type { Change, JournalState, OutgoingRecord } from './journal';
export type { HistoryPage, HistoryRecord, SessionVO } from './wire/session';
export type { Id, UserId } from './wire/types';

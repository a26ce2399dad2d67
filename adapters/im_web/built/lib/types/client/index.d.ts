/** The client for browsers: what an application imports. */
export { IMClient } from './IMClient';
export { IMError, LocalProtocolError } from '../core/errors';
export { RULES, validate } from '../core/validation';
export type * from '../types';

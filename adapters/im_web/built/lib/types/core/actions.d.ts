/** Everything that a client's engine may want done: `CoreAction` and what it is made of. */
export type * from '../generated/types';

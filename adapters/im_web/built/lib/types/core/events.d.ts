/** Everything that an application may hear of its client: `Event` and what it is made of. */
export type * from '../generated/types';

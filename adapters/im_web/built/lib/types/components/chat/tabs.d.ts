/**
 * The tabs of one browser tell one another what was read: they are one device, so the server does
 * not. A change of the storage reaches all tabs but the one that made it.
 */
import type { Id, UserId } from '../../types';
/** What was read in one tab, for the others. */
export declare class ReadInTabs {
    #private;
    /** @param heard called when another tab of this user has read `fromUser` up to `msgId`. */
    constructor(me: UserId, heard: (fromUser: UserId, msgId: Id) => void);
    tell(fromUser: UserId, msgId: Id): void;
    stop(): void;
}

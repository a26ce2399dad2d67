/** What was written and not sent, kept in this browser for each user and conversation. */
import type { UserId } from '../../types';
/** The drafts of one user. */
export declare class Drafts {
    #private;
    constructor(me: UserId);
    get(other: UserId): string;
    /** Keep it; one that is empty is forgotten. */
    set(other: UserId, text: string): void;
}

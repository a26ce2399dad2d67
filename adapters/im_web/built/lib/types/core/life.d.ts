/**
 * The life of messages beside their way: what this user has read, and who is writing or there.
 *
 * A read mark is kept until the server has answered it, and said again after each log-in. Typing is
 * of the moment: what can't be told at once, or after a second, is not told.
 */
import type { Effects } from './effects';
import type { MarkRead, SetTyping } from './inputs';
import type { Timers } from './timers';
import type { Incoming } from './wire/dialect';
/** Read marks, typing and presence of a client. */
export declare class Life {
    #private;
    constructor(fx: Effects, timers: Timers);
    /** Logged in; `typing`: the server granted it. */
    online(typing: boolean): void;
    /** The link is gone. */
    offline(): void;
    /**
     * Keep a read mark, in place of an earlier one of the same user.
     *
     * @throws LocalProtocolError: no such user or message can be, or the dialect has no read marks.
     */
    markRead(wish: MarkRead): void;
    /** Say what was not said on this link; `blocked`: the transport takes no more for now. */
    pump(blocked: boolean): void;
    /**
     * Say it, if the server takes it: at once, or, if it has changed, when the pace allows.
     *
     * @throws LocalProtocolError: no such user can be.
     */
    setTyping({ toUser, active }: SetTyping): void;
    /** Conversations have rested: say what is still to be said. */
    typingDue(): void;
    /** The server said this. */
    heard(message: Incoming): void;
}

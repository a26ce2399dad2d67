/** Who is writing: the other one, until that is old; this user, as long as keys are pressed. */
import type { UserId } from '../../types';
import type { ChatClient } from './client';
import type { Conversation } from './conversations';
/** Both directions, for all conversations. */
export declare class Typing {
    #private;
    constructor(client: ChatClient);
    /** The other one has begun, or stopped. */
    told(conversation: Conversation, active: boolean): void;
    /** This user has pressed a key, or (not `active`) has sent it, or taken it all away. */
    pressed(to: UserId, active: boolean): void;
    stop(): void;
}

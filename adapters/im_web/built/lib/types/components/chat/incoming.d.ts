/** What the client tells, brought to where it is shown. */
import type { Ref, ShallowRef } from 'vue';
import type { ConnectionState } from '../../types';
import type { ChatClient } from './client';
import type { Conversation, Conversations } from './conversations';
import type { Loader } from './loading';
import type { Outgoing } from './outgoing';
import { type Entry } from './timeline';
import type { Typing } from './typing';
/** Where it is brought to. */
export interface Places {
    readonly conversations: Conversations;
    readonly loader: Loader;
    readonly outgoing: Outgoing;
    readonly typing: Typing;
    /** Called for each message of another user, once. */
    readonly arrived: (conversation: Conversation, entry: Entry) => void;
    readonly state: ShallowRef<ConnectionState>;
    readonly queued: Ref<number>;
}
/** Listen until the returned function is called. */
export declare function listen(client: ChatClient, places: Places): () => void;

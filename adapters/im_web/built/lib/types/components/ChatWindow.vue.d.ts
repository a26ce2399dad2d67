import type { SessionVO, UserId } from '../types';
import type { Timeline } from './chat/timeline';
type __VLS_Props = {
    session?: SessionVO | null;
    /** Without a chat: what is shown. */
    messages?: Timeline;
    /** Without a chat: who this user is; left out, the session's buyer. */
    userId?: UserId | null;
};
/** Bring the keyboard to where one writes; where that would open one on the screen, to the top. */
declare function focus(): Promise<void>;
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {
    focus: typeof focus;
}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    "send-message": (content: string) => any;
    back: () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    "onSend-message"?: ((content: string) => any) | undefined;
    onBack?: (() => any) | undefined;
}>, {
    userId: UserId | null;
    session: SessionVO | null;
    messages: Timeline;
}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;

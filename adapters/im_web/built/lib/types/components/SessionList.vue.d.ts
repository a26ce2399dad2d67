import type { SessionVO, UserId } from '../types';
type __VLS_Props = {
    sessions?: readonly SessionVO[];
    /** Without a chat: who this user is; left out, the buyer of each session. */
    userId?: UserId | null;
};
/** Bring the keyboard to the conversation with this user, else to the one that is open. */
declare function focus(user?: UserId): void;
declare const __VLS_template: () => {
    __VLS_Slots: {
        tools?: (props: {}) => any;
    };
};
type __VLS_Slots = ReturnType<typeof __VLS_template>['__VLS_Slots'];
declare const __VLS_base: import("vue").DefineComponent<__VLS_Props, {
    focus: typeof focus;
}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    "session-select": (session: SessionVO) => any;
    select: (user: UserId) => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    "onSession-select"?: ((session: SessionVO) => any) | undefined;
    onSelect?: ((user: UserId) => any) | undefined;
}>, {
    userId: UserId | null;
    sessions: readonly SessionVO[];
}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const __VLS_export: __VLS_WithSlots<typeof __VLS_base, __VLS_Slots>;
declare const _default: typeof __VLS_export;
export default _default;
type __VLS_WithSlots<T, S> = T & {
    new (): {
        $slots: S;
    };
};

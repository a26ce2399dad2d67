import type { Chat } from './chat/chat';
type __VLS_Props = {
    chat: Chat;
    canLogOut?: boolean;
};
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    renew: (token: string) => any;
    "log-out": () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    onRenew?: ((token: string) => any) | undefined;
    "onLog-out"?: (() => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;

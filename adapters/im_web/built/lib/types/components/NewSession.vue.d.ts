import type { Chat } from './chat/chat';
type __VLS_Props = {
    chat: Chat;
};
declare function show(): void;
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {
    show: typeof show;
}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    started: () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    onStarted?: (() => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;

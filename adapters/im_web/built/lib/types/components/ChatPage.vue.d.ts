import type { IMClientConfig, UserId } from '../types';
import { type ChatOptions } from './chat/chat';
import type { ChatClient } from './chat/client';
type __VLS_Props = {
    client?: ChatClient;
    wsUrl?: string;
    token?: IMClientConfig['token'];
    userId?: UserId;
    /** 'en' or 'zh'; left out: as the browser is set. */
    lang?: string;
    /** 'light' or 'dark'; left out: as the system is set. The user's own choice goes before. */
    theme?: string;
    /** More for the client of its own. */
    config?: Partial<IMClientConfig>;
    options?: ChatOptions;
    /** Show a button to log out, which says `log-out`. */
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

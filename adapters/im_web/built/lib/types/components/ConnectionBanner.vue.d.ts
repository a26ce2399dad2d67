import type { Banner } from './chat/banner';
type __VLS_Props = {
    banner: Banner;
    /** Can the user log in again from here? */
    canLogIn: boolean;
};
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    "try-now": () => any;
    renew: (token: string) => any;
    "log-in": () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    "onTry-now"?: (() => any) | undefined;
    onRenew?: ((token: string) => any) | undefined;
    "onLog-in"?: (() => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;

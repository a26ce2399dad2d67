/** `<im-chat-page>`, `<im-chat-window>` and `<im-session-list>`. */
import type { App } from 'vue';
import type { ChatClient } from '../components/chat/client';
import type { Entry } from '../components/chat/timeline';
import type { IMClientConfig, SessionVO, UserId } from '../types';
import { VueBase } from './VueBase';
/**
 * The whole chat. Attributes: `ws-url`, `token`, `user-id`, `lang`, `theme`; or the property
 * `client`, a client that the page has made. Its height is the page's to set.
 */
export declare class ChatPageElement extends VueBase {
    static readonly observedAttributes: string[];
    protected readonly component: import("vue").DefineComponent<{
        client?: ChatClient;
        wsUrl?: string;
        token?: IMClientConfig["token"];
        userId?: UserId;
        lang?: string;
        theme?: string;
        config?: Partial<IMClientConfig>;
        options?: import("../components").ChatOptions;
        canLogOut?: boolean;
    }, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
        renew: (token: string) => any;
        "log-out": () => any;
    }, string, import("vue").PublicProps, Readonly<{
        client?: ChatClient;
        wsUrl?: string;
        token?: IMClientConfig["token"];
        userId?: UserId;
        lang?: string;
        theme?: string;
        config?: Partial<IMClientConfig>;
        options?: import("../components").ChatOptions;
        canLogOut?: boolean;
    }> & Readonly<{
        onRenew?: ((token: string) => any) | undefined;
        "onLog-out"?: (() => any) | undefined;
    }>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
    get client(): ChatClient | undefined;
    set client(client: ChatClient | undefined);
    /** A string, or a function that is asked for each new token. It never becomes an attribute. */
    get token(): IMClientConfig['token'] | undefined;
    set token(token: IMClientConfig['token'] | undefined);
}
/** What the window and the list share: with a `client` they show its chat. */
declare abstract class PartElement extends VueBase {
    #private;
    static readonly observedAttributes: string[];
    get client(): ChatClient | undefined;
    set client(client: ChatClient | undefined);
    get userId(): UserId | undefined;
    set userId(userId: UserId | undefined);
    protected prepare(app: App): void;
}
/**
 * One conversation. Properties: `session`; `messages`, shown without a client; `client`. Event:
 * `send-message`, whose `detail` is the text, without a client.
 */
export declare class ChatWindowElement extends PartElement {
    protected readonly component: import("vue").DefineComponent<{
        session?: SessionVO | null;
        messages?: import("../components/chat/timeline").Timeline;
        userId?: UserId | null;
    }, {
        focus: () => Promise<void>;
    }, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
        "send-message": (content: string) => any;
        back: () => any;
    }, string, import("vue").PublicProps, Readonly<{
        session?: SessionVO | null;
        messages?: import("../components/chat/timeline").Timeline;
        userId?: UserId | null;
    }> & Readonly<{
        "onSend-message"?: ((content: string) => any) | undefined;
        onBack?: (() => any) | undefined;
    }>, {
        userId: UserId | null;
        session: SessionVO | null;
        messages: import("../components/chat/timeline").Timeline;
    }, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
    constructor();
    get session(): SessionVO | null | undefined;
    set session(session: SessionVO | null | undefined);
    get messages(): readonly Entry[] | undefined;
    set messages(messages: readonly Entry[] | undefined);
}
/**
 * A list of conversations. Properties: `sessions`, `client`. Event: `session-select`, whose
 * `detail` is the session.
 */
export declare class SessionListElement extends PartElement {
    protected readonly component: {
        new (...args: any[]): import("vue").CreateComponentPublicInstanceWithMixins<Readonly<{
            sessions?: readonly SessionVO[];
            userId?: UserId | null;
        }> & Readonly<{
            "onSession-select"?: ((session: SessionVO) => any) | undefined;
            onSelect?: ((user: UserId) => any) | undefined;
        }>, {
            focus: (user?: UserId) => void;
        }, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
            "session-select": (session: SessionVO) => any;
            select: (user: UserId) => any;
        }, import("vue").PublicProps, {
            userId: UserId | null;
            sessions: readonly SessionVO[];
        }, false, {}, {}, import("vue").GlobalComponents, import("vue").GlobalDirectives, string, {}, any, import("vue").ComponentProvideOptions, {
            P: {};
            B: {};
            D: {};
            C: {};
            M: {};
            Defaults: {};
        }, Readonly<{
            sessions?: readonly SessionVO[];
            userId?: UserId | null;
        }> & Readonly<{
            "onSession-select"?: ((session: SessionVO) => any) | undefined;
            onSelect?: ((user: UserId) => any) | undefined;
        }>, {
            focus: (user?: UserId) => void;
        }, {}, {}, {}, {
            userId: UserId | null;
            sessions: readonly SessionVO[];
        }>;
        __isFragment?: never;
        __isTeleport?: never;
        __isSuspense?: never;
    } & import("vue").ComponentOptionsBase<Readonly<{
        sessions?: readonly SessionVO[];
        userId?: UserId | null;
    }> & Readonly<{
        "onSession-select"?: ((session: SessionVO) => any) | undefined;
        onSelect?: ((user: UserId) => any) | undefined;
    }>, {
        focus: (user?: UserId) => void;
    }, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
        "session-select": (session: SessionVO) => any;
        select: (user: UserId) => any;
    }, string, {
        userId: UserId | null;
        sessions: readonly SessionVO[];
    }, {}, string, {}, import("vue").GlobalComponents, import("vue").GlobalDirectives, string, import("vue").ComponentProvideOptions> & import("vue").VNodeProps & import("vue").AllowedComponentProps & import("vue").ComponentCustomProps & (new () => {
        $slots: {
            tools?: (props: {}) => any;
        };
    });
    constructor();
    get sessions(): readonly SessionVO[] | undefined;
    set sessions(sessions: readonly SessionVO[] | undefined);
}
export {};

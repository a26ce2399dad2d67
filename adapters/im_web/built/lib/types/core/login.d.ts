/**
 * The log-in: what is asked, what the answer means, and which token is used.
 *
 * Everything here is a decision; `core` carries it out.
 */
import type { CoreConfig } from './config';
import { IMError } from './errors';
import type { AuthRequest, AuthResponse, ResumeFrom } from './wire/messages';
/**
 * What an AUTH_RESPONSE comes down to.
 *
 * - `new_token`: with another token it may work, and another token can be had
 * - `failed`: trying again, as after any failure, may work
 * - `refused`: trying again won't help
 */
export type LoginAnswer = 'welcome' | 'new_token' | 'failed' | 'refused';
/** The answer, and the error to tell if it isn't `welcome`. */
export type Judgement = [answer: LoginAnswer, error: IMError | null];
/** A log-in that says nothing but a token. */
export declare function authRequest(accessToken: string): AuthRequest;
/** The client's token and its log-in on the present link. */
export declare class Login {
    #private;
    /** there is a function that gets a token */
    readonly fetches: boolean;
    state: string;
    token: string | null;
    /** the token that the present log-in, or the last one, is made with; a renewal changes it */
    used: string | null;
    /** the FetchToken that is, or was last, waited for */
    request: number;
    /** it is waited for: by the log-in, by session calls, or by both */
    asking: boolean;
    /** this server can't take section 2 */
    plain: boolean;
    /**
     * @param config whose token and user.
     * @param deviceId this client's name at the server.
     * @param extensions section 2 may be asked for, until a server turns out to be strict.
     */
    constructor(config: CoreConfig, deviceId: string, extensions: boolean);
    /** Move on in the auth machine. */
    to(event: string): void;
    /** Is there no token, and a function that gets one? */
    get needsFetch(): boolean;
    /** The token function has answered. */
    take(token: string): void;
    /** The application's own new token clears every doubt. */
    replace(token: string): void;
    /** connect() after a refusal: another token, if there is a function that gets one. */
    startOver(): void;
    /**
     * The token was refused. Is there a way on: another that was given meanwhile, or a function that
     * can still be asked for one?
     *
     * A token that came in place of a refused one and is refused as well ends the asking.
     */
    doubt(): boolean;
    /** A message was answered with an auth code. May we log in again? Once per token. */
    loginIsGone(): boolean;
    /** The server has taken a message under this log-in: the token is good. */
    messageAccepted(): void;
    /** The server has taken a new token on the live connection. It has its own chance. */
    renewed(token: string): void;
    /** Will the next attempt do something else about what ended the last one? */
    get anotherWay(): boolean;
    /** The link is up and AUTH_REQUEST goes out; a `capable` server is no strict one. */
    linkOpened(capable: boolean): void;
    /** AUTH_REQUEST as this server can take it (protocol.md section 1, "Strict servers"). */
    requestMessage(resume: ResumeFrom | null): AuthRequest;
    /** Did, or will, the log-in of this link ask for section 2? */
    get askedForExtensions(): boolean;
    /** The log-in of this link was answered, or the end of the link says why it was not. */
    excused(): void;
    /** The link ended while AUTH_REQUEST was out. */
    ended(): void;
    /** The log-in worked. Was it the plain one that was tried for lack of an answer? */
    welcomed(): boolean;
    /** The server takes us for somebody else: whatever followed would be of another user. */
    otherUser(response: AuthResponse): IMError | null;
    /** What an answer comes down to. */
    judge(response: AuthResponse): Judgement;
}

// USER_CREDENTIALS: who logs in, and with what. The password can be generated; in a rotation the user stays.
import { UserCredentials } from '../../gen/strongroom/secrets/v1/secret_types.ts';
import { invalid } from '../../kernel/errors.ts';
import { checkPolicy, drawText } from '../password.ts';
import { assertNone, canonicalBytes, flawOf, textsOf, type Content, type SecretType } from './type.ts';

const MOST_USERNAME = 256;
const MOST_PASSWORD = 4_096;
const violation = (field: string, description: string | undefined) => (description === undefined ? [] : [{ field, description }]);

const contentOf = (username: string, password: string): Content => ({
  kind: 'USER_CREDENTIALS',
  bytes: canonicalBytes({ username, password }),
});

const usernameOf = (newest: Buffer | undefined): string => {
  if (newest) return textsOf(newest)['username']!;
  throw invalid('generate.user_credentials.username', 'is required: there is no version yet to take it from');
};

export const userCredentials: SecretType = {
  kinds: { userCredentials: 'USER_CREDENTIALS' },
  parse: (value) => {
    const { username, password } = value.$case === 'userCredentials' ? value.value : UserCredentials.create();
    assertNone([
      ...violation('payload.user_credentials.username', flawOf(username, MOST_USERNAME)),
      ...violation('payload.user_credentials.password', flawOf(password, MOST_PASSWORD, { controls: true })),
    ]);
    return contentOf(username, password);
  },
  show: (_, bytes) => {
    const { username = '', password = '' } = textsOf(bytes);
    return { $case: 'userCredentials', value: { username, password } };
  },
  recipe: (value, field) => {
    if (value.$case !== 'userCredentials') return undefined;
    const { username, password } = value.value;
    const policy = checkPolicy(password, `${field}.user_credentials.password`);
    if (username === '') return { needsNewest: true, make: (newest) => contentOf(usernameOf(newest), drawText(policy).toString('latin1')) };
    assertNone(violation(`${field}.user_credentials.username`, flawOf(username, MOST_USERNAME)));
    return { needsNewest: false, make: () => contentOf(username, drawText(policy).toString('latin1')) };
  },
};

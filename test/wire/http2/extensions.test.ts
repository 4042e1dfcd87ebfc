import { testCases } from '../../support/h2/test-cases.js';
import { extensions } from './cases/extensions.js';

testCases(extensions);

import { testCases } from '../../support/h2/conformance-server.js';
import { extensions } from './cases/extensions.js';

testCases(extensions);

import { testCases } from '../../support/h2/conformance-server.js';
import { carriers } from './cases/carriers.js';

testCases(carriers);

import { testCases } from '../../support/h2/test-cases.js';
import { carriers } from './cases/carriers.js';

testCases(carriers);
